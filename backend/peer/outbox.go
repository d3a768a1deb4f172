package peer

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const outboxSize = 64

// outbox sends to the mailbox from a goroutine of its own, so that a slow
// server does not stop the Link. A message that is repeated replaces the one
// still waiting under the same key.
type outbox struct {
	box  Mailbox
	log  *slog.Logger
	mu   sync.Mutex
	q    []outgoing
	wake chan struct{}
}

type outgoing struct {
	key  string
	body []byte
}

func newOutbox(box Mailbox, log *slog.Logger) *outbox {
	return &outbox{box: box, log: log, wake: make(chan struct{}, 1)}
}

func (o *outbox) send(key string, body []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.q {
		if o.q[i].key == key {
			o.q[i].body = body
			return
		}
	}
	if len(o.q) == outboxSize {
		o.q = slices.Delete(o.q, 0, 1) // the oldest; whoever needs it repeats it
	}
	o.q = append(o.q, outgoing{key, body})
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run sends until ctx ends. A failed message is not tried again here: the Link
// repeats what stays unanswered.
func (o *outbox) run(ctx context.Context) {
	for {
		o.mu.Lock()
		var next outgoing
		if len(o.q) > 0 {
			next, o.q = o.q[0], o.q[1:]
		}
		o.mu.Unlock()
		if next.body == nil {
			select {
			case <-o.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		c, cancel := context.WithTimeout(ctx, sendTimeout)
		err := o.box.Send(c, next.body)
		cancel()
		if err != nil && ctx.Err() == nil {
			o.log.Debug("negotiation message not sent", "kind", next.body[1], "cause", err)
			select { // do not spin on a mailbox that fails at once
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}
