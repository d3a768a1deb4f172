package desk

// syncSoon brings what is new to the company's history.
func (d *Desk) syncSoon() {}
