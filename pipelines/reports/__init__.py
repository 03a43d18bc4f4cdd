"""Pages that people read: figures by SQL, plots as inline SVG, HTML by templates. No network, no browser."""
