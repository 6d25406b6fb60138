package resolvers

import (
	"context"
	"errors"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/webhook"
)

// APIKeys lists a workspace's keys.
func (r workspaceResolver) APIKeys(ctx context.Context, w *webhook.Workspace, first *int, after *string, last *int, before *string) (*graph.APIKeyConnection, error) {
	if err := isOwn(ctx, w); err != nil {
		return nil, err
	}
	p, err := page(webhook.APIKeyPrefix, first, after, last, before)
	if err != nil {
		return nil, err
	}
	slice, err := r.DB.APIKeys(ctx, w.ID, p)
	if err != nil {
		return nil, err
	}
	cursor := func(k *webhook.APIKey) string { return encodeCursor(k.ID) }
	connection := &graph.APIKeyConnection{
		Edges: edges(slice, cursor, func(at string, k *webhook.APIKey) *graph.APIKeyEdge {
			return &graph.APIKeyEdge{Cursor: at, Node: k}
		}),
		Nodes:    slice.Items,
		PageInfo: pageInfo(slice, cursor),
	}
	if asked(ctx, "totalCount") {
		connection.TotalCount, err = r.DB.CountAPIKeys(ctx, w.ID)
	}
	return connection, err
}

func (r queryResolver) apiKey(ctx context.Context, id string) (*webhook.APIKey, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	return absentIsNull(r.DB.APIKey(ctx, workspaceID, id))
}

// CreateAPIKey issues a key.
func (r mutationResolver) CreateAPIKey(ctx context.Context, input graph.CreateAPIKeyInput) (*graph.CreateAPIKeyPayload, error) {
	key, token, err := r.createAPIKey(ctx, input)
	payload := &graph.CreateAPIKeyPayload{APIKey: key, Token: token}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) createAPIKey(ctx context.Context, input graph.CreateAPIKeyInput) (*webhook.APIKey, *string, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, nil, err
	}
	token := auth.NewToken()
	key := &webhook.APIKey{
		ID:          webhook.NewID(webhook.APIKeyPrefix),
		WorkspaceID: &workspaceID,
		Name:        input.Name,
		Prefix:      token.Prefix(),
		Scopes:      unique(input.Scopes),
		CreatedAt:   webhook.Now(),
		ExpiresAt:   input.ExpiresAt.Value(),
	}
	if err := key.Validate(auth.CallerOf(ctx).Scopes(), key.CreatedAt).OrNil(); err != nil {
		return nil, nil, err
	}
	if err := r.DB.InsertAPIKey(ctx, workspaceID, key, token.Hash()); err != nil {
		return nil, nil, orNoWorkspace(err, workspaceID)
	}
	text := string(token)
	return key, &text, nil
}

// RevokeAPIKey makes a key open no more.
func (r mutationResolver) RevokeAPIKey(ctx context.Context, input graph.RevokeAPIKeyInput) (*graph.RevokeAPIKeyPayload, error) {
	key, err := r.revokeAPIKey(ctx, input.ID)
	if errors.Is(err, webhook.NotFound) {
		err = webhook.NewError(webhook.NotFound, "There is no key with this id in your workspace.", "id")
	}
	payload := &graph.RevokeAPIKeyPayload{APIKey: key}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

// revokeAPIKey revokes a key of the workspace; for operators, also one of theirs.
func (r mutationResolver) revokeAPIKey(ctx context.Context, id string) (*webhook.APIKey, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	key, err := r.DB.RevokeAPIKey(ctx, workspaceID, id, webhook.Now())
	if errors.Is(err, webhook.NotFound) && auth.CallerOf(ctx).Operator {
		return r.DB.RevokeOperatorKey(ctx, id, webhook.Now())
	}
	return key, err
}
