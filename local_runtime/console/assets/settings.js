/* What a person has chosen, kept by the browser. */

const THEMES = ["system", "light", "dark"];
const NAMES = { system: "Colours: system", light: "Colours: light", dark: "Colours: dark" };

export function kept(name, otherwise) {
  return localStorage.getItem(`console.${name}`) ?? otherwise;
}

export function keep(name, value) {
  localStorage.setItem(`console.${name}`, value);
}

/** Let a button switch the colours; charts are told, as they draw with them. */
export function themeButton(button) {
  const show = () => {
    const theme = kept("theme", "system");
    button.textContent = NAMES[theme];
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("colours"));
  };
  button.onclick = () => {
    keep("theme", THEMES[(THEMES.indexOf(kept("theme", "system")) + 1) % THEMES.length]);
    show();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
}
