"""The local AWS: MiniStack with a thin overlay, and the demo's driver. See local/README.md."""
