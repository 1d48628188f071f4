"""The console: what runs here, drawn for a person, at ``/console``.

The control plane's process serves it: it holds what the APIs say, the metrics, the alarms and the
dashboards. All numbers are calculated here; the pages under ``assets/`` only draw them. What lives
in the data plane at this moment (processes, queues, loaded models) the pages read from its status
route, and they invoke endpoints through the public API.
"""

from typing import Final

CONSOLE_ROUTE: Final = "/console"
