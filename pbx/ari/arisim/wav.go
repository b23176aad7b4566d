package arisim

import (
	"encoding/binary"
	"math"
)

// wav is what every recording sounds like: two soft tones, two seconds, as
// MixMonitor writes it (8 kHz, 16 bit, mono).
var wav = makeWAV(2)

func makeWAV(seconds int) []byte {
	const rate = 8000
	n := rate * seconds
	b := make([]byte, 0, 44+2*n)
	b = append(b, "RIFF"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(36+2*n))
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, 1) // PCM
	b = binary.LittleEndian.AppendUint16(b, 1) // mono
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, 2*rate)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(2*n))
	for i := range n {
		t := float64(i) / rate
		tone := 440.0
		if i/(rate/2)%2 == 1 {
			tone = 554.4
		}
		fade := math.Min(1, math.Min(float64(i%(rate/2)), float64(rate/2-i%(rate/2)))/400)
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(4000*fade*math.Sin(2*math.Pi*tone*t))))
	}
	return b
}
