"""One file per place that a running watch tells of transfers; tidewaiter.sink holds their interface and register."""
