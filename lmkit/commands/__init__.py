"""What a user types: options to settings, settings to the core, results to streams; no arithmetic."""
