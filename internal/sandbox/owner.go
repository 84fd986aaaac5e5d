package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// unprivileged is a program of the cluster to be run in a folder: as ourselves
// or, since mysqld and Vitess refuse root, as nobody. CAP_DAC_OVERRIDE lets
// nobody through folders only root may enter, such as /root or a test's own in
// /tmp. It takes effect with a first exec, env's, which enters the folder.
func unprivileged(ctx context.Context, dir string, args ...string) (*exec.Cmd, error) {
	uid, gid, err := owner()
	if err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{}
		return cmd, nil
	}
	const capDACOverride = 1 // linux/capability.h
	cmd := exec.CommandContext(ctx, "env", append([]string{"-C", dir}, args...)...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
		AmbientCaps: []uintptr{capDACOverride},
	}
	return cmd, nil
}

// owner is the user who runs the programs and owns their files.
func owner() (uid, gid int, err error) {
	if os.Geteuid() != 0 {
		return os.Geteuid(), os.Getegid(), nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return 0, 0, fmt.Errorf("as root the sandbox runs its programs as the user nobody: %w", err)
	}
	uid, uidErr := strconv.Atoi(nobody.Uid)
	gid, gidErr := strconv.Atoi(nobody.Gid)
	return uid, gid, errors.Join(uidErr, gidErr)
}

// mkdirOwned makes a folder that belongs to who runs the programs.
func mkdirOwned(path string) error {
	uid, gid, err := owner()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}
