"""Every picture: functions of a result that draw on given axes; loaded on first use."""
