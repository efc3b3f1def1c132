"""The explorer's page: what it shows, how that is packed into one HTML file or a folder, and how it is read back."""
