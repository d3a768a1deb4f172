package service

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// stopLimit is how long a process may take to end when asked.
const stopLimit = 8 * time.Second

// detached is a process of its own session: a hang-up of a terminal or of the
// program that started it does not end it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// process is a child that ends with us.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// Launch starts cmd as an Agent. It is killed when the calling process dies.
func Launch(cmd *exec.Cmd) (Agent, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	p := &process{cmd: cmd, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // how it ended is told by what it left
		close(p.done)
	}()
	return p, nil
}

// Done implements Agent.
func (p *process) Done() <-chan struct{} { return p.done }

// Stop implements Agent.
func (p *process) Stop() {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return // ended
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = p.cmd.Process.Kill() // it did not end when asked
		<-p.done
	}
}
