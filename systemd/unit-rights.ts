// The rule that lets the agent, which is not root, ask systemd for what the host's own configuration
// names, and for nothing else: to reload and restart units, to run hooks that are units, and to have
// root look who uses its apps' releases (polkit(8)). The text is pure; writing it is the caller's.

import { instancesBeginning } from '#shared/unit-instance.ts'
import type { AgentSettings } from './agent-settings.ts'
import { installed, services } from './host.ts'

/** All are names that the configuration's own check has let pass. */
export interface UnitRights {
  /** Units to reload. */
  readonly reload: readonly string[]
  /** Units to restart. */
  readonly restart: readonly string[]
  /** What the names of units begin with that are started as hooks, and ended when they take too long. */
  readonly hooks: readonly string[]
  /** Units that look who uses an app's releases; they are started, and end by themselves. */
  readonly looks: readonly string[]
}

/** A hook's template may be started for the app that names it, in any version, and for no other. */
export function unitRightsOf({ apps }: Pick<AgentSettings, 'apps'>): UnitRights {
  const hooks = apps.flatMap(({ app, hooks: named, once }) =>
    [...Object.values(named), once].flatMap((hook) =>
      hook?.command.kind === 'unit' ? [instancesBeginning(hook.command.template, app)] : [],
    ),
  )
  return {
    reload: sorted(apps.flatMap(({ reload }) => reload)),
    restart: sorted(apps.flatMap(({ restart }) => restart)),
    hooks: sorted(hooks),
    looks: sorted(apps.map(({ app }) => installed.usageUnit.replace('@', `@${app}`))),
  }
}

export function unitRightsRule({ reload, restart, hooks, looks }: UnitRights): string {
  return `// Written at every \`lockstep agent install\` from /etc/lockstep/agent.toml.
polkit.addRule(function (action, subject) {
  if (action.id !== "org.freedesktop.systemd1.manage-units") return polkit.Result.NOT_HANDLED;
  if (subject.user !== ${JSON.stringify(services.agent.account)}) return polkit.Result.NOT_HANDLED;
  var unit = action.lookup("unit") || "";
  var verb = action.lookup("verb");
  var reload = ${JSON.stringify(reload)};
  var restart = ${JSON.stringify(restart)};
  var hooks = ${JSON.stringify(hooks)};
  var looks = ${JSON.stringify(looks)};
  var isHook = /\\.service$/.test(unit) && hooks.some(function (beginning) {
    return unit.indexOf(beginning) === 0;
  });
  var isOurs = isHook
    ? ["start", "stop", "kill"].indexOf(verb) >= 0
    : (verb === "reload" && reload.indexOf(unit) >= 0) ||
      (verb === "restart" && restart.indexOf(unit) >= 0) ||
      (verb === "start" && looks.indexOf(unit) >= 0);
  return isOurs ? polkit.Result.YES : polkit.Result.NO;
});
`
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].toSorted()
}
