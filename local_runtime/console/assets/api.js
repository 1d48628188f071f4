/* Questions to the runtime: the console's own documents, the data plane's status, invocations. */

export class Refused extends Error {}

export class Unreachable extends Error {}

/** A document of the console. */
export async function ask(route, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined) query.set(name, value);
  }
  const path = route.split("/").map(encodeURIComponent).join("/");
  return await json(`/console/api/${path}?${query}`);
}

/** What runs at this moment. */
export async function live() {
  return await json("/_local_runtime/status");
}

async function json(address) {
  const answer = await reached(fetch(address));
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(document.message ?? `${address}: HTTP ${answer.status}`);
  return document;
}

/** What `fetch` promises; every browser words its failures in its own way. */
async function reached(promise) {
  try {
    return await promise;
  } catch {
    throw new Unreachable("the runtime does not answer");
  }
}

/** Send a request to an endpoint, as any client would; the runtime reads the region from its scope. */
export async function invoke({ endpoint, region, body, headers, queued }) {
  const operation = queued ? "async-invocations" : "invocations";
  const scope = `local/20000101/${region}/sagemaker/aws4_request`;
  const begun = performance.now();
  const answer = await reached(fetch(`/endpoints/${encodeURIComponent(endpoint)}/${operation}`, {
    method: "POST",
    body,
    headers: {
      ...headers,
      Authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=local`,
    },
  }));
  const content = new Uint8Array(await reached(answer.arrayBuffer()));
  return {
    status: answer.status,
    headers: [...answer.headers],
    content,
    seconds: (performance.now() - begun) / 1000,
  };
}
