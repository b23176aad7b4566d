package crm

import (
	"bytes"
	"context"
)

// NewAccount keeps an account in memory: for an attempt with credentials that
// are not saved yet, and for tests. save, if not nil, is told what to keep.
func NewAccount(state []byte, save func(ctx context.Context, state []byte) error) Account {
	return &memoryAccount{state: bytes.Clone(state), save: save, turn: make(chan struct{}, 1)}
}

type memoryAccount struct {
	turn  chan struct{}
	state []byte
	save  func(context.Context, []byte) error
}

func (a *memoryAccount) Turn(ctx context.Context) ([]byte, func(), error) {
	select {
	case a.turn <- struct{}{}:
		return bytes.Clone(a.state), func() { <-a.turn }, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func (a *memoryAccount) Save(ctx context.Context, state []byte) error {
	if a.save != nil {
		if err := a.save(ctx, state); err != nil {
			return err
		}
	}
	a.state = bytes.Clone(state)
	return nil
}
