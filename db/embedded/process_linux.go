package embedded

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

func attributes(as *account, onDeath syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: as.credential(), Pdeathsig: onDeath}
}

// commandLine returns a process's arguments, separated by blanks; "" when there
// is no such process or only its zombie.
func commandLine(pid int) string {
	args, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(args), "\x00", " ")
}

// workersIn returns the PostgreSQL processes that work in a data directory's
// cluster, finished or in the making. Zombies are none.
func workersIn(dir string) []int {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, proc := range procs {
		pid, err := strconv.Atoi(proc.Name())
		if err != nil {
			continue // not a process
		}
		// Both fail for processes that have ended and for those of other users.
		cwd, _ := os.Readlink(filepath.Join("/proc", proc.Name(), "cwd"))
		in, ok := strings.CutPrefix(cwd, dir+"/")
		if !ok || in != "pg" && !strings.HasPrefix(in, initPrefix) {
			continue
		}
		name, _ := os.ReadFile(filepath.Join("/proc", proc.Name(), "comm"))
		// Not the shell of somebody who is looking around there.
		if slices.Contains([]string{"postgres\n", "initdb\n"}, string(name)) {
			pids = append(pids, pid)
		}
	}
	return pids
}
