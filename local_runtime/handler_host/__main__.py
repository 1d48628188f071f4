"""Start the handler host by path: ``python __main__.py --socket PATH ...``.

A process that a handler spawns with ``multiprocessing`` runs this file once more, under another
name, to have what its parent's main module has: nothing that it needs.
"""

import os
import sys


def main() -> None:
    """Serve."""
    # The modules of this folder have everyday names (server, context). A handler may ship modules
    # of the same names, so the folder leaves the path and becomes a package whose name nobody else
    # uses.
    del sys.path[0]
    package = type(sys)("_handler_host")
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules["_handler_host"] = package
    __import__("_handler_host.startup").startup.main(sys.argv[1:])


if __name__ == "__main__":
    main()
