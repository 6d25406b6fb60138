package resolvers

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/webhook"
)

// Viewer is who asks.
func (r queryResolver) Viewer(ctx context.Context) (*graph.Viewer, error) {
	caller := auth.CallerOf(ctx)
	viewer := &graph.Viewer{APIKey: caller.Key, Scopes: caller.Scopes()}
	var err error
	viewer.Workspace, err = r.Workspace(ctx, nil)
	return viewer, err
}

// Workspace finds a workspace by its id or uid; without one, that of the
// request. Only operators find others.
func (r queryResolver) Workspace(ctx context.Context, id *string) (*webhook.Workspace, error) {
	own, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	if id == nil {
		id = &own
	}
	w, err := absentIsNull(r.DB.Workspace(ctx, *id))
	if err != nil || w == nil || w.ID != own && need(ctx, webhook.ScopeWorkspacesRead) != nil {
		return nil, err
	}
	return w, nil
}

// Workspaces lists the installation's workspaces.
func (r queryResolver) Workspaces(ctx context.Context, first *int, after *string, last *int, before *string) (*graph.WorkspaceConnection, error) {
	p, err := page(webhook.WorkspacePrefix, first, after, last, before)
	if err != nil {
		return nil, err
	}
	slice, err := r.DB.Workspaces(ctx, p)
	if err != nil {
		return nil, err
	}
	cursor := func(w *webhook.Workspace) string { return encodeCursor(w.ID) }
	connection := &graph.WorkspaceConnection{
		Edges: edges(slice, cursor, func(at string, w *webhook.Workspace) *graph.WorkspaceEdge {
			return &graph.WorkspaceEdge{Cursor: at, Node: w}
		}),
		Nodes:    slice.Items,
		PageInfo: pageInfo(slice, cursor),
	}
	if asked(ctx, "totalCount") {
		connection.TotalCount, err = r.DB.CountWorkspaces(ctx)
	}
	return connection, err
}

// Webhooks lists a workspace's webhooks.
func (r workspaceResolver) Webhooks(ctx context.Context, w *webhook.Workspace, first *int, after *string, last *int, before *string, filter *graph.WebhookFilter, orderBy *graph.WebhookOrder) (*graph.WebhookConnection, error) {
	if err := isOwn(ctx, w); err != nil {
		return nil, err
	}
	return r.Query().Webhooks(ctx, first, after, last, before, filter, orderBy)
}

// isOwn fails unless a workspace is the one that the request works in: all
// else that a request reads lies in that one, too.
func isOwn(ctx context.Context, w *webhook.Workspace) error {
	own, err := workspace(ctx)
	if err == nil && own != w.ID {
		return webhook.NewError(webhook.Invalid, fmt.Sprintf(
			"This request works in another workspace. Send one of its own with the header `%s: %s`.", auth.WorkspaceHeader, w.UID))
	}
	return err
}

// CreateWorkspace opens a workspace.
func (r mutationResolver) CreateWorkspace(ctx context.Context, input graph.CreateWorkspaceInput) (*graph.CreateWorkspacePayload, error) {
	w, err := r.createWorkspace(ctx, input)
	payload := &graph.CreateWorkspacePayload{Workspace: w}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) createWorkspace(ctx context.Context, input graph.CreateWorkspaceInput) (*webhook.Workspace, error) {
	now := webhook.Now()
	w := &webhook.Workspace{
		ID:        webhook.NewID(webhook.WorkspacePrefix),
		UID:       or(input.UID, uuid.NewString()),
		Name:      input.Name,
		Metadata:  input.Metadata.Value(),
		CreatedAt: now,
		UpdatedAt: now,
	}
	if w.Metadata == nil {
		w.Metadata = []byte("{}")
	}
	if err := w.Validate().OrNil(); err != nil {
		return nil, err
	}
	own, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	key, err := idempotency(ctx, input.IdempotencyKey, input)
	if err != nil {
		return nil, err
	}
	earlier, err := r.DB.InsertWorkspace(ctx, own, w, key)
	if err != nil {
		return nil, err
	}
	if earlier == "" {
		return w, nil
	}
	w, err = r.DB.Workspace(ctx, earlier)
	return w, orGone(err)
}

// UpdateWorkspace changes the fields that are given.
func (r mutationResolver) UpdateWorkspace(ctx context.Context, input graph.UpdateWorkspaceInput) (*graph.UpdateWorkspacePayload, error) {
	w, err := r.updateWorkspace(ctx, input)
	payload := &graph.UpdateWorkspacePayload{Workspace: w}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) updateWorkspace(ctx context.Context, input graph.UpdateWorkspaceInput) (*webhook.Workspace, error) {
	w, err := r.DB.Workspace(ctx, input.ID)
	if err != nil {
		return nil, orNoWorkspace(err, input.ID)
	}
	var errs webhook.Errors
	wasDefault := w.UID == webhook.DefaultWorkspace
	change(&errs, "name", input.Name, &w.Name)
	change(&errs, "uid", input.UID, &w.UID)
	if wasDefault && w.UID != webhook.DefaultWorkspace {
		errs = append(errs, stays("uid"))
	}
	changeList(&errs, "metadata", input.Metadata, &w.Metadata)
	if err := append(errs, w.Validate()...).OrNil(); err != nil {
		return nil, err
	}
	w.UpdatedAt = webhook.Now()
	if err := r.DB.UpdateWorkspace(ctx, w); err != nil {
		return nil, orNoWorkspace(err, input.ID)
	}
	return w, nil
}

// DeleteWorkspace closes a workspace.
func (r mutationResolver) DeleteWorkspace(ctx context.Context, input graph.DeleteWorkspaceInput) (*graph.DeleteWorkspacePayload, error) {
	payload := &graph.DeleteWorkspacePayload{}
	w, err := r.DB.Workspace(ctx, input.ID)
	switch {
	case err != nil:
	case w.UID == webhook.DefaultWorkspace:
		err = stays("id")
	default:
		err = r.DB.DeleteWorkspace(ctx, w.ID)
	}
	if err == nil {
		r.Engine.Deleted(ctx, w.ID)
		payload.DeletedWorkspaceID = &w.ID
	}
	payload.UserErrors, err = userErrors(orNoWorkspace(err, input.ID), "input")
	return payload, err
}

// stays says that the default workspace cannot go, nor its uid.
func stays(field string) *webhook.Error {
	return webhook.NewError(webhook.WrongState, fmt.Sprintf(
		"Requests of operators without the header `%s` work in the workspace %q, so it stays, with this uid. Delete what is in it instead, or leave it empty.",
		auth.WorkspaceHeader, webhook.DefaultWorkspace), field)
}

// orNoWorkspace puts "not found" into words.
func orNoWorkspace(err error, idOrUID string) error {
	if errors.Is(err, webhook.NotFound) {
		return webhook.NewError(webhook.NotFound, fmt.Sprintf("There is no workspace with the id or uid %q.", idOrUID), "id")
	}
	return err
}
