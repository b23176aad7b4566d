package deliver

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/crm"
)

// Entry is what we know of a client in one CRM.
type Entry struct {
	Contact crm.Contact
	Several int // how many contacts of the CRM hold the number (D-24); 0: none
	// Others are the contacts with the number that were not chosen, at most
	// maxOthers, for the card.
	Others []crm.Contact
	// Dealer is the responsible of the contact's newest open process, the
	// first choice for its calls (M-4.6); Deal is its name. DealsAt is when the
	// CRM was asked, zero if it never was.
	Dealer  crm.UserID
	Deal    string
	DealsAt time.Time
	At      time.Time // when the CRM said so
}

// maxOthers bounds the list: a number of a switchboard may be in hundreds of contacts.
const maxOthers = 9

// Found says whether the CRM has the client.
func (e Entry) Found() bool { return e.Contact.ID != "" }

// Index keeps entries between calls: the local index that cards and routing
// answer from while the CRM is slow or down.
type Index interface {
	LoadEntry(ctx context.Context, integration string, n bridge.Number) (Entry, bool, error)
	SaveEntry(ctx context.Context, integration string, n bridge.Number, e Entry) error
}

// Book finds clients of one integration. It asks the CRM at most once at a
// time per number and remembers the answers in the index.
type Book struct {
	integration string
	index       Index
	client      crm.Client
	now         func() time.Time

	mu     sync.Mutex
	asking map[bridge.Number]*asking
}

type asking struct {
	done  chan struct{}
	entry Entry
	err   error
}

// NewBook makes the book of one integration.
func NewBook(integration string, client crm.Client, index Index, now func() time.Time) *Book {
	return &Book{integration: integration, client: client, index: index, now: now, asking: map[bridge.Number]*asking{}}
}

// Known returns what the index says, without asking the CRM.
func (b *Book) Known(ctx context.Context, n bridge.Number) (Entry, bool) {
	if n == "" {
		return Entry{}, false
	}
	e, ok, err := b.index.LoadEntry(ctx, b.integration, n)
	return e, ok && err == nil
}

// Find returns the client with number n. An answer of the index younger than
// maxAge is taken as it is; otherwise the CRM is asked. That nobody has the
// number is an Entry that is not Found, and no error.
func (b *Book) Find(ctx context.Context, n bridge.Number, maxAge time.Duration) (Entry, error) {
	if n == "" {
		return Entry{}, nil
	}
	if maxAge > 0 {
		if e, ok := b.Known(ctx, n); ok && b.now().Sub(e.At) <= maxAge {
			return e, nil
		}
	}
	b.mu.Lock()
	if a := b.asking[n]; a != nil {
		b.mu.Unlock()
		select {
		case <-a.done:
			return a.entry, a.err
		case <-ctx.Done():
			return Entry{}, ctx.Err()
		}
	}
	a := &asking{done: make(chan struct{})}
	b.asking[n] = a
	b.mu.Unlock()

	a.entry, a.err = b.ask(ctx, n)
	b.mu.Lock()
	delete(b.asking, n)
	b.mu.Unlock()
	close(a.done)
	return a.entry, a.err
}

func (b *Book) ask(ctx context.Context, n bridge.Number) (Entry, error) {
	found, err := b.client.FindContacts(ctx, n)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{At: b.now(), Several: len(found)}
	if len(found) > 0 {
		e.Contact = Choose(found)
		for _, c := range found {
			if c.ID != e.Contact.ID && len(e.Others) < maxOthers {
				e.Others = append(e.Others, c)
			}
		}
	}
	if old, ok := b.Known(ctx, n); ok && old.Contact.ID == e.Contact.ID {
		e.Dealer, e.Deal, e.DealsAt = old.Dealer, old.Deal, old.DealsAt
	}
	if err := b.index.SaveEntry(ctx, b.integration, n, e); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// KeepDeals remembers whose the contact's open processes are, newest first.
func (b *Book) KeepDeals(ctx context.Context, n bridge.Number, contact crm.ContactID, open []crm.Deal) error {
	e, ok := b.Known(ctx, n)
	if !ok || e.Contact.ID != contact {
		return nil // the contact changed meanwhile
	}
	e.Dealer, e.Deal, e.DealsAt = "", "", b.now()
	for _, d := range open {
		if d.Responsible != "" {
			e.Dealer, e.Deal = d.Responsible, cmpOr(d.Name, string(d.ID))
			break
		}
	}
	return b.index.SaveEntry(ctx, b.integration, n, e)
}

// KeepContact remembers what we changed in a contact, so that routing knows it
// before the CRM is asked again. One that was not chosen stays as it was.
func (b *Book) KeepContact(ctx context.Context, n bridge.Number, c crm.Contact) error {
	e, ok := b.Known(ctx, n)
	if !ok || e.Contact.ID != c.ID {
		return nil
	}
	e.Contact = c
	return b.index.SaveEntry(ctx, b.integration, n, e)
}

// Remember puts a contact that was just made into the index.
func (b *Book) Remember(ctx context.Context, n bridge.Number, c crm.Contact) error {
	return b.index.SaveEntry(ctx, b.integration, n, Entry{Contact: c, Several: 1, At: b.now()})
}

// Forget makes the next Find ask the CRM again: what the index said was wrong.
func (b *Book) Forget(ctx context.Context, n bridge.Number) error {
	return b.index.SaveEntry(ctx, b.integration, n, Entry{})
}

// Choose picks one of several contacts with the same number, always the same
// one (D-24): the one made first, then the one with the smallest id.
func Choose(found []crm.Contact) crm.Contact {
	return slices.MinFunc(found, func(a, b crm.Contact) int {
		at, bt := a.CreatedAt.Milli(), b.CreatedAt.Milli()
		if at != 0 && bt != 0 && at != bt {
			return cmp.Compare(at, bt)
		}
		x, errX := strconv.ParseInt(string(a.ID), 10, 64)
		y, errY := strconv.ParseInt(string(b.ID), 10, 64)
		if errX == nil && errY == nil && x != y {
			return cmp.Compare(x, y)
		}
		return cmp.Compare(a.ID, b.ID)
	})
}
