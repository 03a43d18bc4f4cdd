"""Bills: lines of invoices and cost exports, one file a format. Usage that is only counted is in models/counters."""
