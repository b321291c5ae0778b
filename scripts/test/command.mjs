import { spawn } from "node:child_process";

/**
 * Runs a program with its output passed through, and resolves to its exit code: 124 when it had to be
 * killed after `timeoutMs`. The whole process group is killed, so that no grandchild outlives a step.
 */
export function runCommand(command, { cwd, environment = process.env, timeoutMs }) {
  const [program, ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: environment, stdio: "inherit", detached: true });
    let expired = false;
    const timer = setTimeout(() => {
      expired = true;
      killGroup(child);
    }, timeoutMs);
    const interrupt = () => {
      killGroup(child);
      process.exit(130);
    };
    process.on("SIGINT", interrupt);
    process.on("SIGTERM", interrupt);
    const settle = () => {
      clearTimeout(timer);
      process.off("SIGINT", interrupt);
      process.off("SIGTERM", interrupt);
    };
    child.once("error", (error) => {
      settle();
      reject(error);
    });
    child.once("exit", (code) => {
      settle();
      resolve(expired ? 124 : (code ?? 1));
    });
  });
}

function killGroup(child) {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // The group has ended by itself.
  }
}

/** The environment without what npm adds for a script, which would make an inner npm act on this workspace. */
export function environmentWithoutNpm() {
  const dropped =
    /^npm_(lifecycle|package|command|execpath|node_execpath|config_(local_prefix|workspaces?|include_workspace_root))/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !dropped.test(name)));
}
