"""What runs inside the containers: handlers, the scripts that train them and their artifacts."""
