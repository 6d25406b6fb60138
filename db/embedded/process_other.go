//go:build unix && !linux

package embedded

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// attributes cannot ask for a parent-death signal, which only Linux has; the
// next start stops what was left running.
func attributes(as *account, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: as.credential()}
}

// commandLine returns a process's arguments, separated by blanks; "" or no
// arguments when there is no such process or only its zombie.
func commandLine(pid int) string {
	line, err := exec.Command("/bin/ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(line))
}

// workersIn knows no way to tell; PostgreSQL itself refuses to start as long as
// children of a killed postmaster are busy.
func workersIn(string) []int { return nil }
