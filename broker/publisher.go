package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-project/weir"
)

// A Publisher tells all gateways what was decided. It is safe for concurrent use.
type Publisher struct {
	transport Transport
	secret    Secret
}

// NewPublisher returns a Publisher that signs with s. The zero Secret is refused,
// since nobody would believe it.
func NewPublisher(t Transport, s Secret) (*Publisher, error) {
	if s.IsZero() {
		return nil, errors.New("publish decisions: there is no secret to sign them with")
	}
	return &Publisher{transport: t, secret: s}, nil
}

// PublishDecision tells d to all gateways that listen. It waits no longer than ctx.
func (p *Publisher) PublishDecision(ctx context.Context, d *weir.Decision) error {
	t := told(d)
	if err := checkDecision(&t); err != nil {
		return fmt.Errorf("publish a decision: %w", err)
	}
	return p.publish(ctx, "a decision", ThrottleData, AppendDecision(nil, p.secret, &t))
}

// PublishDeny tells d to all gateways that listen. It waits no longer than ctx.
func (p *Publisher) PublishDeny(ctx context.Context, d *Deny) error {
	t := toldDeny(d)
	if err := checkDeny(&t); err != nil {
		return fmt.Errorf("publish a deny policy: %w", err)
	}
	return p.publish(ctx, "a deny policy", ThrottleData, AppendDeny(nil, p.secret, &t))
}

// PublishKeyTemplate tells k to all gateways that listen. It waits no longer than
// ctx.
func (p *Publisher) PublishKeyTemplate(ctx context.Context, k *KeyTemplate) error {
	if err := k.check(); err != nil {
		return fmt.Errorf("publish a key template: %w", err)
	}
	return p.publish(ctx, "a key template", Notification, AppendKeyTemplate(nil, p.secret, k))
}

// PublishPolicyChange tells c to all who listen. It waits no longer than ctx.
func (p *Publisher) PublishPolicyChange(ctx context.Context, c *PolicyChange) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("publish a change of a policy: %w", err)
	}
	return p.publish(ctx, "a change of a policy", Notification, AppendPolicyChange(nil, p.secret, c))
}

func (p *Publisher) publish(ctx context.Context, what, topic string, message []byte) error {
	if err := p.transport.Publish(ctx, topic, message); err != nil {
		return fmt.Errorf("publish %s: %w", what, err)
	}
	return nil
}
