"""Start the handler host by folder path: ``python handler_host --socket PATH --model-dir DIR``."""

import os
import sys

# The modules of this folder have everyday names (server, context). A handler may ship modules of
# the same names, so the folder leaves the path and becomes a package whose name nobody else uses.
del sys.path[0]
package = type(sys)("_handler_host")
package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
sys.modules["_handler_host"] = package
__import__("_handler_host.startup").startup.main(sys.argv[1:])
