"""One router a page: read the record, build the view model, render."""
