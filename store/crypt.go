package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// box seals secrets with AES-256-GCM. Each sealed text is bound to what it is
// for, so that a copied column cannot be opened as another.
type box struct {
	aead cipher.AEAD
	id   string // tells keys apart, tells nothing about the key
}

func newBox(key []byte) (*box, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("store: the secret key must have 32 bytes, it has %d", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("store: secret key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("store: secret key: %w", err)
	}
	sum := sha256.Sum256(append([]byte("callbridge key id\n"), key...))
	return &box{aead, hex.EncodeToString(sum[:8])}, nil
}

// seal returns nonce and ciphertext.
func (b *box) seal(purpose string, plain []byte) []byte {
	nonce := make([]byte, b.aead.NonceSize(), b.aead.NonceSize()+len(plain)+b.aead.Overhead())
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the program instead
	return b.aead.Seal(nonce, nonce, plain, []byte(purpose))
}

func (b *box) open(purpose string, sealed []byte) ([]byte, error) {
	n := b.aead.NonceSize()
	if len(sealed) < n {
		return nil, fmt.Errorf("%s: %w", purpose, ErrWrongKey)
	}
	plain, err := b.aead.Open(nil, sealed[:n], sealed[n:], []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be decrypted: %w", purpose, ErrWrongKey)
	}
	return plain, nil
}

// checkKey remembers at the first start which key is used and refuses another
// one later, before anything is read or written with it.
func (db *DB) checkKey(ctx context.Context) error {
	return db.write(ctx, "secret key", func(t *tx) error {
		if err := t.exec(`INSERT INTO meta (name, value) VALUES ('key_id', ?) ON CONFLICT (name) DO NOTHING`, db.box.id); err != nil {
			return err
		}
		var id string
		if err := t.one(&id, `SELECT value FROM meta WHERE name = 'key_id'`); err != nil {
			return err
		}
		if id != db.box.id {
			return errors.Join(ErrWrongKey, fmt.Errorf("the database knows key %s, the key file holds key %s: put the old key file back", id, db.box.id))
		}
		return nil
	})
}
