// Package webhooktest is the receiving side of webhooks: a Receiver that
// answers and remembers, several of them under names (Receivers), and Verify,
// which checks a Standard Webhooks signature.
//
// HookQL's own tests receive with it, and its development mode serves a
// Receivers at /receiver/, so that a first webhook has somewhere to go:
//
//	mux.Handle("/receiver/", http.StripPrefix("/receiver/", &webhooktest.Receivers{}))
//
// A receiver in a process of its own, which fails for one event type, is
//
//	answer, err := webhooktest.Script("job.status:500", "*:204")
//	...
//	http.Serve(listener, &webhooktest.Receivers{Answer: answer})
//
// No goroutine is started here. All is kept in memory, within the limits that
// the constants name.
package webhooktest
