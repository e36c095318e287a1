package queue

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is returned by Push after Close.
var ErrClosed = errors.New("queue: closed")

// Queue is a bounded first-in, first-out queue.
type Queue[T any] struct {
	mu     sync.Mutex
	items  []T
	limit  int
	closed bool
}

// New makes a queue that holds at most limit items.
func New[T any](limit int) *Queue[T] {
	return &Queue[T]{limit: limit}
}

func (q *Queue[T]) Push(ctx context.Context, item T) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	for len(q.items) >= q.limit {
		select {
		case <-ctx.Done():
			return ctx.Err()
		default:
			q.items = q.items[1:]
		}
	}
	q.items = append(q.items, item)
	return nil
}

func (q *Queue[T]) Drain(visit func(T) bool) int {
	count := 0
	for _, item := range q.items {
		if !visit(item) {
			break
		}
		count++
	}
	q.items = nil
	return count
}
