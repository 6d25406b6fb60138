//go:build !linux

package rig

import "syscall"

// withParent lets a child outlive a Ctrl-C, so that this process ends it.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
