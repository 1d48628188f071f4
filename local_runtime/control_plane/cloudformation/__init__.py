"""CloudFormation: templates in, resources out, through a stack engine of our own.

moto's engine compares the text of templates, so a replaced model never reaches the endpoint
configuration that names it; it hides errors, does not roll back, and works inside the request.
"""
