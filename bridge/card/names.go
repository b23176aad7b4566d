package card

import "slices"

// withoutNames is a card for one who may see the number of a client and not
// who he is (F-22). What was found out about him goes too where it may tell
// it; that he is known, and the way into the CRM, which has its own rights, stay.
func (s *shown) withoutNames() *shown {
	out := *s
	out.body = nil
	out.card.ClientName = ""
	if s.card.Info == nil {
		return &out
	}
	info := *s.card.Info
	info.Clients = slices.Clone(info.Clients)
	for i := range info.Clients {
		c := &info.Clients[i]
		c.Name, c.Company, c.Others, c.Deals = "", "", nil, nil
	}
	out.card.Info = &info
	return &out
}
