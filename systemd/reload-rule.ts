// The rule that lets the agent, which is not root, ask systemd to reload the units that the host's own
// configuration names, and nothing else (polkit(8)). The text is pure; writing it is the caller's.

import { installed } from './host.ts'

/** @param units names that the configuration's own check has let pass */
export function reloadRule(units: readonly string[]): string {
  return `// Written at every \`lockstep agent install\` from /etc/lockstep/agent.toml.
polkit.addRule(function (action, subject) {
  if (action.id !== "org.freedesktop.systemd1.manage-units") return polkit.Result.NOT_HANDLED;
  if (subject.user !== ${JSON.stringify(installed.account)}) return polkit.Result.NOT_HANDLED;
  var units = ${JSON.stringify([...new Set(units)].toSorted())};
  var isOurs = units.indexOf(action.lookup("unit")) >= 0 && action.lookup("verb") === "reload";
  return isOurs ? polkit.Result.YES : polkit.Result.NO;
});
`
}
