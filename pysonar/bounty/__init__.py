"""What a scientist asks for: settings, data, design, and what it costs and reveals."""
