package ari

import (
	"sync"
	"time"
)

// frame is a websocket message with the time it reached us.
type frame struct {
	raw []byte
	at  time.Time
}

// frameCost is what a frame takes beside its bytes.
const frameCost = 64

// queue holds frames between the reader and the decoder. It never makes the
// reader wait: it is full by bytes, and a full one ends the link.
type queue struct {
	mu     sync.Mutex
	frames []frame
	bytes  int64 // waiting and in work
	max    int64
	pushed int64
	closed bool
	oldest time.Time // arrival of the oldest frame not done yet
	wake   chan struct{}
}

func newQueue(limit int64) *queue { return &queue{max: limit, wake: make(chan struct{}, 1)} }

// push adds f, or says that there is no room.
func (q *queue) push(f frame) bool {
	q.mu.Lock()
	n := int64(len(f.raw)) + frameCost
	if q.bytes+n > q.max {
		q.mu.Unlock()
		return false
	}
	if q.bytes == 0 {
		q.oldest = f.at
	}
	q.bytes += n
	q.pushed++
	q.frames = append(q.frames, f)
	q.mu.Unlock()
	q.signal()
	return true
}

// close says that nothing more will come.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns all waiting frames; none and false when the queue is closed
// and empty. It waits until there is something.
func (q *queue) take() ([]frame, bool) {
	for {
		q.mu.Lock()
		got, closed := q.frames, q.closed
		q.frames = nil
		q.mu.Unlock()
		if len(got) > 0 {
			return got, true
		}
		if closed {
			return nil, false
		}
		<-q.wake
	}
}

// done says that f is worked off; next is the arrival of the one after it, zero if none is taken.
func (q *queue) done(f frame, next time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= int64(len(f.raw)) + frameCost
	switch {
	case !next.IsZero():
		q.oldest = next
	case len(q.frames) > 0:
		q.oldest = q.frames[0].at
	}
}

// count returns how many frames were ever pushed.
func (q *queue) count() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pushed
}

// load returns what waits, and for how long already.
func (q *queue) load(now time.Time) (int64, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes == 0 {
		return 0, 0
	}
	return q.bytes, now.Sub(q.oldest)
}
