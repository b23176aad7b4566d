package web

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
)

// A secret that was typed must survive a form that is shown again because of
// another field, but no secret goes back to a browser readable. So it goes back
// sealed, for this sign-in only.

func (s *server) sealer() (cipher.AEAD, error) {
	key := sha256.Sum256(append([]byte("form secrets\x00"), s.d.Key...))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (s *server) seal(session string, secrets map[string]string) string {
	if len(secrets) == 0 {
		return ""
	}
	box, err := s.sealer()
	if err != nil {
		return ""
	}
	plain, err := json.Marshal(secrets)
	if err != nil {
		return ""
	}
	nonce := make([]byte, box.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(box.Seal(nonce, nonce, plain, []byte(session)))
}

// unseal returns nothing for what was not sealed here for this session.
func (s *server) unseal(session, text string) map[string]string {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	box, err := s.sealer()
	if err != nil || len(raw) < box.NonceSize() {
		return nil
	}
	plain, err := box.Open(nil, raw[:box.NonceSize()], raw[box.NonceSize():], []byte(session))
	if err != nil {
		return nil
	}
	var out map[string]string
	if json.Unmarshal(plain, &out) != nil {
		return nil
	}
	return out
}
