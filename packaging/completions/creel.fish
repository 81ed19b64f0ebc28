# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_creel_global_optspecs
    string join \n home= config= port= json color= h/help V/version
end

function __fish_creel_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_creel_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_creel_using_subcommand
    set -l cmd (__fish_creel_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c creel -n "__fish_creel_needs_command" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_needs_command" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_needs_command" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_needs_command" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_needs_command" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_needs_command" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_needs_command" -s V -l version -d 'Print version'
complete -c creel -n "__fish_creel_needs_command" -f -a "up" -d 'Start Creel and stay in the foreground until SIGTERM or Ctrl-C'
complete -c creel -n "__fish_creel_needs_command" -f -a "stop" -d 'Stop Creel in order, or one unit'
complete -c creel -n "__fish_creel_needs_command" -f -a "start" -d 'Start one unit that was stopped or set aside'
complete -c creel -n "__fish_creel_needs_command" -f -a "status" -d 'Show every process: state, restarts, last end, memory and measured isolation'
complete -c creel -n "__fish_creel_needs_command" -f -a "top" -d 'Show what every unit uses, live'
complete -c creel -n "__fish_creel_needs_command" -f -a "logs" -d 'Show the log of one unit, or of all'
complete -c creel -n "__fish_creel_needs_command" -f -a "events" -d 'Show what happened: starts, ends and their causes, restarts, reloads'
complete -c creel -n "__fish_creel_needs_command" -f -a "doctor" -d 'Look for what is wrong with this installation, and say what to do'
complete -c creel -n "__fish_creel_needs_command" -f -a "restart" -d 'Restart one unit and lift its quarantine'
complete -c creel -n "__fish_creel_needs_command" -f -a "reload" -d 'Read the configuration again and apply what changed'
complete -c creel -n "__fish_creel_needs_command" -f -a "upgrade" -d 'Put another version in the place of the running one; everything runs on'
complete -c creel -n "__fish_creel_needs_command" -f -a "agent" -d 'Send one message to an agent and print its reply'
complete -c creel -n "__fish_creel_needs_command" -f -a "message" -d 'Say something on a channel'
complete -c creel -n "__fish_creel_needs_command" -f -a "pairing" -d 'Let people who asked for it write to you'
complete -c creel -n "__fish_creel_needs_command" -f -a "sessions" -d 'List sessions, search in them, give them settings of their own, forget them, and bring them from and into files'
complete -c creel -n "__fish_creel_needs_command" -f -a "cluster" -d 'Show the hosts that share a database'
complete -c creel -n "__fish_creel_needs_command" -f -a "inbox" -d 'Show messages that were set aside, and have them answered after all'
complete -c creel -n "__fish_creel_needs_command" -f -a "outbox" -d 'Show what goes out on channels, and decide about what did not'
complete -c creel -n "__fish_creel_needs_command" -f -a "config" -d 'Read, check and change the configuration'
complete -c creel -n "__fish_creel_needs_command" -f -a "gateway" -d 'Call the gateway directly'
complete -c creel -n "__fish_creel_needs_command" -f -a "backup" -d 'Copy the home into one file while it is in use, check and restore such copies'
complete -c creel -n "__fish_creel_needs_command" -f -a "store" -d 'Move the state between a file and a PostgreSQL server'
complete -c creel -n "__fish_creel_needs_command" -f -a "service" -d 'Run Creel as a service of this machine or of yourself'
complete -c creel -n "__fish_creel_needs_command" -f -a "egress" -d 'See and try what units reach outside'
complete -c creel -n "__fish_creel_needs_command" -f -a "sandbox" -d 'Run commands in the tool sandbox, and test it'
complete -c creel -n "__fish_creel_needs_command" -f -a "token" -d 'Print the address of the web page, with the token that opens it'
complete -c creel -n "__fish_creel_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c creel -n "__fish_creel_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand up" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand up" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand up" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand up" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand up" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand up" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand stop" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand stop" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand stop" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand stop" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand stop" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand stop" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand start" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand start" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand start" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand start" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand start" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand start" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand status" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand status" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand status" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand status" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand status" -s v -l verbose -d 'Also show what each sandbox is made of and lacks, log counts, and ends by cause'
complete -c creel -n "__fish_creel_using_subcommand status" -s w -l watch -d 'Draw anew every second, until `q`'
complete -c creel -n "__fish_creel_using_subcommand status" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand status" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand top" -l sort -d 'What comes first' -r -f -a "cpu\t'Most processor time first'
memory\t'Most memory first'
name\t'By name'"
complete -c creel -n "__fish_creel_using_subcommand top" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand top" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand top" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand top" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand top" -l once -d 'Look for one second, print and end; so does --json'
complete -c creel -n "__fish_creel_using_subcommand top" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand logs" -l since -d 'Only from then on: how long ago (90s, 10m, 2h, 3d) or when (RFC 3339)' -r
complete -c creel -n "__fish_creel_using_subcommand logs" -s n -l lines -d 'How many of the last lines [default: 200, or 1000 with --since]' -r
complete -c creel -n "__fish_creel_using_subcommand logs" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand logs" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand logs" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand logs" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand logs" -s f -l follow -d 'Go on printing new lines'
complete -c creel -n "__fish_creel_using_subcommand logs" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand logs" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand events" -l unit -d 'Only this unit, by the name that `creel status` shows' -r
complete -c creel -n "__fish_creel_using_subcommand events" -l since -d 'Only from then on: how long ago (90s, 10m, 2h, 3d) or when (RFC 3339)' -r
complete -c creel -n "__fish_creel_using_subcommand events" -s n -l limit -d 'How many of the newest' -r
complete -c creel -n "__fish_creel_using_subcommand events" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand events" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand events" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand events" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand events" -s f -l follow -d 'Go on printing new ones'
complete -c creel -n "__fish_creel_using_subcommand events" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand events" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand doctor" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand doctor" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand doctor" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand doctor" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand doctor" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand restart" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand restart" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand restart" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand restart" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand restart" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand restart" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand reload" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand reload" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand reload" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand reload" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand reload" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand reload" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand upgrade" -l binary -d 'The new program [default: what is now at the path of the running one]' -r -F
complete -c creel -n "__fish_creel_using_subcommand upgrade" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand upgrade" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand upgrade" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand upgrade" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand upgrade" -l check -d 'Only let the new program look at a copy of the state'
complete -c creel -n "__fish_creel_using_subcommand upgrade" -l no-roll -d 'Leave all other units on their old programs'
complete -c creel -n "__fish_creel_using_subcommand upgrade" -l status -d 'Only show how the latest upgrade went'
complete -c creel -n "__fish_creel_using_subcommand upgrade" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand upgrade" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand agent" -s m -l message -d 'What to say' -r
complete -c creel -n "__fish_creel_using_subcommand agent" -l agent -d 'The agent [default: the configured default agent]' -r
complete -c creel -n "__fish_creel_using_subcommand agent" -l session-key -d 'The session\'s key, as `creel sessions` shows it [default: the agent\'s main session]' -r
complete -c creel -n "__fish_creel_using_subcommand agent" -l timeout -d 'Seconds to wait for the reply' -r
complete -c creel -n "__fish_creel_using_subcommand agent" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand agent" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand agent" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand agent" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand agent" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand agent" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand message; and not __fish_seen_subcommand_from send help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand message; and not __fish_seen_subcommand_from send help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand message; and not __fish_seen_subcommand_from send help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand message; and not __fish_seen_subcommand_from send help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand message; and not __fish_seen_subcommand_from send help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand message; and not __fish_seen_subcommand_from send help" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand message; and not __fish_seen_subcommand_from send help" -f -a "send" -d 'Send a text through the outbox, which outlives Creel: it is sent at most once'
complete -c creel -n "__fish_creel_using_subcommand message; and not __fish_seen_subcommand_from send help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from send" -l channel -d 'The channel, such as `telegram`' -r
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from send" -l to -d 'The platform\'s id of the conversation' -r
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from send" -s m -l message -d 'Markdown' -r
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from send" -l account -d 'The account, when the channel has several' -r
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from send" -l idempotency-key -d 'Sending again with the same key sends nothing' -r
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from send" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from send" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from send" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from send" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from send" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from send" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from help" -f -a "send" -d 'Send a text through the outbox, which outlives Creel: it is sent at most once'
complete -c creel -n "__fish_creel_using_subcommand message; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand pairing; and not __fish_seen_subcommand_from list approve dismiss help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand pairing; and not __fish_seen_subcommand_from list approve dismiss help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand pairing; and not __fish_seen_subcommand_from list approve dismiss help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand pairing; and not __fish_seen_subcommand_from list approve dismiss help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand pairing; and not __fish_seen_subcommand_from list approve dismiss help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand pairing; and not __fish_seen_subcommand_from list approve dismiss help" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand pairing; and not __fish_seen_subcommand_from list approve dismiss help" -f -a "list" -d 'List open requests'
complete -c creel -n "__fish_creel_using_subcommand pairing; and not __fish_seen_subcommand_from list approve dismiss help" -f -a "approve" -d 'Allow the sender of a request; works at once'
complete -c creel -n "__fish_creel_using_subcommand pairing; and not __fish_seen_subcommand_from list approve dismiss help" -f -a "dismiss" -d 'Drop a request; the sender may ask again'
complete -c creel -n "__fish_creel_using_subcommand pairing; and not __fish_seen_subcommand_from list approve dismiss help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from list" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from list" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from list" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from list" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from list" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from approve" -l account -d 'The account, when the channel has several' -r
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from approve" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from approve" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from approve" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from approve" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from approve" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from approve" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from dismiss" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from dismiss" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from dismiss" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from dismiss" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from dismiss" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from dismiss" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from help" -f -a "list" -d 'List open requests'
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from help" -f -a "approve" -d 'Allow the sender of a request; works at once'
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from help" -f -a "dismiss" -d 'Drop a request; the sender may ask again'
complete -c creel -n "__fish_creel_using_subcommand pairing; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -l limit -d 'How many, newest first' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -f -a "set" -d 'Give a session a model, a thinking level, a label, a queue mode, or keep what it answers off its channel'
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -f -a "reset" -d 'Have a session begin afresh: its agent remembers nothing of before'
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -f -a "delete" -d 'Delete a session with everything that was said in it'
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -f -a "prune" -d 'Forget sessions that nobody writes in any more, with everything that was said in them'
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -f -a "search" -d 'Find what was said, in all sessions, newest first'
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -f -a "export" -d 'Write a session as a file that Pi and OpenClaw read (JSON Lines, version 3)'
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -f -a "import" -d 'Take in session files of Pi and OpenClaw (JSON Lines, versions 1 to 3), and OpenClaw\'s databases'
complete -c creel -n "__fish_creel_using_subcommand sessions; and not __fish_seen_subcommand_from set reset delete prune search export import help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from set" -l model -d 'The model as provider/model, or `default` for the agent\'s' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from set" -l thinking -d 'How much the model thinks: off, minimal, low, medium, high, xhigh, or `default` for the agent\'s' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from set" -l label -d 'What you call it, or `default` for what its channel calls it' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from set" -l send -d 'Whether answers are said on its channel; with `deny` they are in the transcript only' -r -f -a "allow\t''
deny\t''"
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from set" -l queue -d 'What a message does that arrives while an answer is written: followup, collect, interrupt, or `default`' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from set" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from set" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from set" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from set" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from set" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from reset" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from reset" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from reset" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from reset" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from reset" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from delete" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from delete" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from delete" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from delete" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from delete" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from prune" -l older-than -d 'Those without a message for so long, such as 90d or 12h [default: session.maintenance.pruneAfter]' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from prune" -l keep -d 'Of the others so many stay, the newest [default: session.maintenance.maxEntries]' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from prune" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from prune" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from prune" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from prune" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from prune" -l dry-run -d 'Only say which'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from prune" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from search" -l agent -d 'Only of this agent' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from search" -l session -d 'Only in this session; may be said several times' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from search" -l limit -d 'How many, newest first' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from search" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from search" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from search" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from search" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from search" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from search" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from export" -l to -d 'The file, which must not exist yet [default: standard output]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from export" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from export" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from export" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from export" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from export" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from import" -l agent -d 'The agent that goes on with them [default: the configured default agent]' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from import" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from import" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from import" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from import" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from import" -l dry-run -d 'Only say what would be taken in'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from import" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "set" -d 'Give a session a model, a thinking level, a label, a queue mode, or keep what it answers off its channel'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "reset" -d 'Have a session begin afresh: its agent remembers nothing of before'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "delete" -d 'Delete a session with everything that was said in it'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Forget sessions that nobody writes in any more, with everything that was said in them'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "search" -d 'Find what was said, in all sessions, newest first'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write a session as a file that Pi and OpenClaw read (JSON Lines, version 3)'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "import" -d 'Take in session files of Pi and OpenClaw (JSON Lines, versions 1 to 3), and OpenClaw\'s databases'
complete -c creel -n "__fish_creel_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand cluster; and not __fish_seen_subcommand_from status help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand cluster; and not __fish_seen_subcommand_from status help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand cluster; and not __fish_seen_subcommand_from status help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand cluster; and not __fish_seen_subcommand_from status help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand cluster; and not __fish_seen_subcommand_from status help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand cluster; and not __fish_seen_subcommand_from status help" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand cluster; and not __fish_seen_subcommand_from status help" -f -a "status" -d 'Show the hosts and who has which account and turn'
complete -c creel -n "__fish_creel_using_subcommand cluster; and not __fish_seen_subcommand_from status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand cluster; and __fish_seen_subcommand_from status" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand cluster; and __fish_seen_subcommand_from status" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand cluster; and __fish_seen_subcommand_from status" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand cluster; and __fish_seen_subcommand_from status" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand cluster; and __fish_seen_subcommand_from status" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand cluster; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand cluster; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show the hosts and who has which account and turn'
complete -c creel -n "__fish_creel_using_subcommand cluster; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand inbox; and not __fish_seen_subcommand_from retry drop answer help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand inbox; and not __fish_seen_subcommand_from retry drop answer help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand inbox; and not __fish_seen_subcommand_from retry drop answer help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand inbox; and not __fish_seen_subcommand_from retry drop answer help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand inbox; and not __fish_seen_subcommand_from retry drop answer help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand inbox; and not __fish_seen_subcommand_from retry drop answer help" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand inbox; and not __fish_seen_subcommand_from retry drop answer help" -f -a "retry" -d 'Have a message answered after all, before what waits behind it'
complete -c creel -n "__fish_creel_using_subcommand inbox; and not __fish_seen_subcommand_from retry drop answer help" -f -a "drop" -d 'Give a message up'
complete -c creel -n "__fish_creel_using_subcommand inbox; and not __fish_seen_subcommand_from retry drop answer help" -f -a "answer" -d 'Say what becomes of a command that was interrupted'
complete -c creel -n "__fish_creel_using_subcommand inbox; and not __fish_seen_subcommand_from retry drop answer help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from retry" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from retry" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from retry" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from retry" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from retry" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from drop" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from drop" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from drop" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from drop" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from drop" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from drop" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from answer" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from answer" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from answer" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from answer" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from answer" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from answer" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from help" -f -a "retry" -d 'Have a message answered after all, before what waits behind it'
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from help" -f -a "drop" -d 'Give a message up'
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from help" -f -a "answer" -d 'Say what becomes of a command that was interrupted'
complete -c creel -n "__fish_creel_using_subcommand inbox; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand outbox; and not __fish_seen_subcommand_from list retry drop help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand outbox; and not __fish_seen_subcommand_from list retry drop help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand outbox; and not __fish_seen_subcommand_from list retry drop help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand outbox; and not __fish_seen_subcommand_from list retry drop help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand outbox; and not __fish_seen_subcommand_from list retry drop help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand outbox; and not __fish_seen_subcommand_from list retry drop help" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand outbox; and not __fish_seen_subcommand_from list retry drop help" -f -a "list" -d 'List the newest messages'
complete -c creel -n "__fish_creel_using_subcommand outbox; and not __fish_seen_subcommand_from list retry drop help" -f -a "retry" -d 'Say a message again that failed or whose end nobody knows; who got it already gets it twice'
complete -c creel -n "__fish_creel_using_subcommand outbox; and not __fish_seen_subcommand_from list retry drop help" -f -a "drop" -d 'Give up a message that waits, or whose end nobody knows'
complete -c creel -n "__fish_creel_using_subcommand outbox; and not __fish_seen_subcommand_from list retry drop help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from list" -l limit -d 'How many, newest first' -r
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from list" -l state -d 'Only those in one state' -r -f -a "queued\t''
attempting\t''
sent\t''
unknown\t''
failed\t''"
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from list" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from list" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from list" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from list" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from list" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from retry" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from retry" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from retry" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from retry" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from retry" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from drop" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from drop" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from drop" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from drop" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from drop" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from drop" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the newest messages'
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from help" -f -a "retry" -d 'Say a message again that failed or whose end nobody knows; who got it already gets it twice'
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from help" -f -a "drop" -d 'Give up a message that waits, or whose end nobody knows'
complete -c creel -n "__fish_creel_using_subcommand outbox; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand config; and not __fish_seen_subcommand_from validate get set unset schema help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand config; and not __fish_seen_subcommand_from validate get set unset schema help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand config; and not __fish_seen_subcommand_from validate get set unset schema help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand config; and not __fish_seen_subcommand_from validate get set unset schema help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand config; and not __fish_seen_subcommand_from validate get set unset schema help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand config; and not __fish_seen_subcommand_from validate get set unset schema help" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand config; and not __fish_seen_subcommand_from validate get set unset schema help" -f -a "validate" -d 'Name every mistake with its line and column'
complete -c creel -n "__fish_creel_using_subcommand config; and not __fish_seen_subcommand_from validate get set unset schema help" -f -a "get" -d 'Print a value, defaults included; the whole configuration without a path'
complete -c creel -n "__fish_creel_using_subcommand config; and not __fish_seen_subcommand_from validate get set unset schema help" -f -a "set" -d 'Change a value in the file; comments stay'
complete -c creel -n "__fish_creel_using_subcommand config; and not __fish_seen_subcommand_from validate get set unset schema help" -f -a "unset" -d 'Remove a key from the file, so that its default holds'
complete -c creel -n "__fish_creel_using_subcommand config; and not __fish_seen_subcommand_from validate get set unset schema help" -f -a "schema" -d 'Print the JSON Schema of the configuration'
complete -c creel -n "__fish_creel_using_subcommand config; and not __fish_seen_subcommand_from validate get set unset schema help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from validate" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from validate" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from validate" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from validate" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from validate" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from validate" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from get" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from get" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from get" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from get" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from get" -l reveal -d 'Print secrets as they are'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from get" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from set" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from set" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from set" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from set" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from set" -l force -d 'Write even if most of the file would be gone'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from set" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from unset" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from unset" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from unset" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from unset" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from unset" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from unset" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from schema" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from schema" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from schema" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from schema" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from schema" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "validate" -d 'Name every mistake with its line and column'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "get" -d 'Print a value, defaults included; the whole configuration without a path'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "set" -d 'Change a value in the file; comments stay'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "unset" -d 'Remove a key from the file, so that its default holds'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "schema" -d 'Print the JSON Schema of the configuration'
complete -c creel -n "__fish_creel_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand gateway; and not __fish_seen_subcommand_from call help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand gateway; and not __fish_seen_subcommand_from call help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand gateway; and not __fish_seen_subcommand_from call help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand gateway; and not __fish_seen_subcommand_from call help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand gateway; and not __fish_seen_subcommand_from call help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand gateway; and not __fish_seen_subcommand_from call help" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand gateway; and not __fish_seen_subcommand_from call help" -f -a "call" -d 'Call one method and print its result as JSON'
complete -c creel -n "__fish_creel_using_subcommand gateway; and not __fish_seen_subcommand_from call help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand gateway; and __fish_seen_subcommand_from call" -l params -d 'The method\'s parameters, a JSON object' -r
complete -c creel -n "__fish_creel_using_subcommand gateway; and __fish_seen_subcommand_from call" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand gateway; and __fish_seen_subcommand_from call" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand gateway; and __fish_seen_subcommand_from call" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand gateway; and __fish_seen_subcommand_from call" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand gateway; and __fish_seen_subcommand_from call" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand gateway; and __fish_seen_subcommand_from call" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand gateway; and __fish_seen_subcommand_from help" -f -a "call" -d 'Call one method and print its result as JSON'
complete -c creel -n "__fish_creel_using_subcommand gateway; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand backup; and not __fish_seen_subcommand_from create verify restore help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand backup; and not __fish_seen_subcommand_from create verify restore help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand backup; and not __fish_seen_subcommand_from create verify restore help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand backup; and not __fish_seen_subcommand_from create verify restore help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand backup; and not __fish_seen_subcommand_from create verify restore help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand backup; and not __fish_seen_subcommand_from create verify restore help" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand backup; and not __fish_seen_subcommand_from create verify restore help" -f -a "create" -d 'Copy the home: database, transcripts, files of agents'
complete -c creel -n "__fish_creel_using_subcommand backup; and not __fish_seen_subcommand_from create verify restore help" -f -a "verify" -d 'Look whether a backup is whole: every hash, and the database in it'
complete -c creel -n "__fish_creel_using_subcommand backup; and not __fish_seen_subcommand_from create verify restore help" -f -a "restore" -d 'Make a home of a backup again, in a folder that is empty or not there'
complete -c creel -n "__fish_creel_using_subcommand backup; and not __fish_seen_subcommand_from create verify restore help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from create" -l to -d 'The file to write [default: creel-backup-TIME.tar here]' -r -F
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from create" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from create" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from create" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from create" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from create" -l with-secrets -d 'Also the configuration, .env and tokens'
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from create" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from verify" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from verify" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from verify" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from verify" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from verify" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from restore" -l to -d 'The folder [default: the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from restore" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from restore" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from restore" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from restore" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from restore" -l resume -d 'Answer the messages that had no answer yet when the backup was made'
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from restore" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "create" -d 'Copy the home: database, transcripts, files of agents'
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Look whether a backup is whole: every hash, and the database in it'
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "restore" -d 'Make a home of a backup again, in a folder that is empty or not there'
complete -c creel -n "__fish_creel_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand store; and not __fish_seen_subcommand_from migrate help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand store; and not __fish_seen_subcommand_from migrate help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand store; and not __fish_seen_subcommand_from migrate help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand store; and not __fish_seen_subcommand_from migrate help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand store; and not __fish_seen_subcommand_from migrate help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand store; and not __fish_seen_subcommand_from migrate help" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand store; and not __fish_seen_subcommand_from migrate help" -f -a "migrate" -d 'Copy the whole state to the other store, and compare every row'
complete -c creel -n "__fish_creel_using_subcommand store; and not __fish_seen_subcommand_from migrate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand store; and __fish_seen_subcommand_from migrate" -l to -d 'Where to' -r -f -a "postgres\t'A database of a PostgreSQL server'
sqlite\t'A file'"
complete -c creel -n "__fish_creel_using_subcommand store; and __fish_seen_subcommand_from migrate" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand store; and __fish_seen_subcommand_from migrate" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand store; and __fish_seen_subcommand_from migrate" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand store; and __fish_seen_subcommand_from migrate" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand store; and __fish_seen_subcommand_from migrate" -l switch -d 'Also set store.kind in the configuration, once everything is copied and verified'
complete -c creel -n "__fish_creel_using_subcommand store; and __fish_seen_subcommand_from migrate" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand store; and __fish_seen_subcommand_from migrate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "migrate" -d 'Copy the whole state to the other store, and compare every row'
complete -c creel -n "__fish_creel_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -f -a "install" -d 'Put it in place, start it, and start it with the machine (or your login)'
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -f -a "uninstall" -d 'Stop it and take it away; configuration and data stay'
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -f -a "start" -d 'Start it'
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -f -a "stop" -d 'Stop it in order; it starts again with the machine'
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -f -a "restart" -d 'Stop it and start it again'
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -f -a "status" -d 'Show how the service manager sees it'
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -f -a "logs" -d 'Show what it said to the service manager'
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -f -a "text" -d 'Print a text that service managers read, for packagers'
complete -c creel -n "__fish_creel_using_subcommand service; and not __fish_seen_subcommand_from install uninstall start stop restart status logs text help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from install" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from install" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from install" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from install" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from install" -l user -d 'Your own [default, except for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from install" -l system -d 'The machine\'s [default for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from install" -l dry-run -d 'Show what would be done, and do nothing'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from install" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from install" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l user -d 'Your own [default, except for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l system -d 'The machine\'s [default for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l dry-run -d 'Show what would be done, and do nothing'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from uninstall" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from start" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from start" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from start" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from start" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from start" -l user -d 'Your own [default, except for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from start" -l system -d 'The machine\'s [default for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from start" -l dry-run -d 'Show what would be done, and do nothing'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from start" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from stop" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from stop" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from stop" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from stop" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from stop" -l user -d 'Your own [default, except for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from stop" -l system -d 'The machine\'s [default for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from stop" -l dry-run -d 'Show what would be done, and do nothing'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from stop" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from restart" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from restart" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from restart" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from restart" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from restart" -l user -d 'Your own [default, except for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from restart" -l system -d 'The machine\'s [default for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from restart" -l dry-run -d 'Show what would be done, and do nothing'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from restart" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from restart" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from status" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from status" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from status" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from status" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from status" -l user -d 'Your own [default, except for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from status" -l system -d 'The machine\'s [default for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from status" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from logs" -s n -l lines -d 'How many of the last lines' -r
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from logs" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from logs" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from logs" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from logs" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from logs" -l user -d 'Your own [default, except for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from logs" -l system -d 'The machine\'s [default for root]'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from logs" -s f -l follow -d 'Go on printing new lines'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from logs" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from logs" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from text" -l program -d 'The binary that it starts' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from text" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from text" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from text" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from text" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from text" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from text" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "install" -d 'Put it in place, start it, and start it with the machine (or your login)'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "uninstall" -d 'Stop it and take it away; configuration and data stay'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "start" -d 'Start it'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "stop" -d 'Stop it in order; it starts again with the machine'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "restart" -d 'Stop it and start it again'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show how the service manager sees it'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "logs" -d 'Show what it said to the service manager'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "text" -d 'Print a text that service managers read, for packagers'
complete -c creel -n "__fish_creel_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand egress; and not __fish_seen_subcommand_from log test help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand egress; and not __fish_seen_subcommand_from log test help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand egress; and not __fish_seen_subcommand_from log test help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand egress; and not __fish_seen_subcommand_from log test help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand egress; and not __fish_seen_subcommand_from log test help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand egress; and not __fish_seen_subcommand_from log test help" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand egress; and not __fish_seen_subcommand_from log test help" -f -a "log" -d 'Show the access log: every connection of every unit, allowed or refused'
complete -c creel -n "__fish_creel_using_subcommand egress; and not __fish_seen_subcommand_from log test help" -f -a "test" -d 'Ask whether a unit may reach a host, and by which key of the configuration'
complete -c creel -n "__fish_creel_using_subcommand egress; and not __fish_seen_subcommand_from log test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from log" -l unit -d 'Only this unit, such as agent:main, channel:telegram:default or tools:main' -r
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from log" -l since -d 'Only from then on: how long ago (90s, 10m, 2h, 3d) or when (RFC 3339)' -r
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from log" -s n -l limit -d 'How many of the newest' -r
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from log" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from log" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from log" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from log" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from log" -l denied -d 'Only what was refused or cut off'
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from log" -s f -l follow -d 'Go on printing new ones'
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from log" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from log" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from test" -l unit -d 'Whose connection: agent:<id>, channel:<channel>:<account>, or tools:<agent>' -r
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from test" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from test" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from test" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from test" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from test" -l connect -d 'Really connect, send nothing, and hang up'
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from test" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from help" -f -a "log" -d 'Show the access log: every connection of every unit, allowed or refused'
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from help" -f -a "test" -d 'Ask whether a unit may reach a host, and by which key of the configuration'
complete -c creel -n "__fish_creel_using_subcommand egress; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -f -a "exec" -d 'Run a command in the sandbox of the `exec` tool'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -f -a "explain" -d 'Show how an agent\'s commands and its worker are confined: measured, with the key behind each line'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -f -a "list" -d 'List the home folders of commands, the one that was not used for longest first'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -f -a "prune" -d 'Take home folders away that nobody uses any more, with everything in them'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -f -a "why" -d 'Show what sandboxes denied lately, each as one sentence with rule, path and key'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -f -a "test" -d 'Try some sixty deeds in a tool sandbox, and say which were denied'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -f -a "quarantine" -d 'What commands left in workspaces and was taken away after the run'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and not __fish_seen_subcommand_from exec explain list prune why test quarantine help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l workspace -d 'The workspace folder, which is also the working directory' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l access -d 'What the command may do in the workspace' -r -f -a "none\t'Nothing: the working directory is the private /tmp'
ro\t'Read-only'
rw\t'Writable, but for what programs of the host and the agent itself obey'"
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l ro -d 'A further folder to show read-only; may be given several times' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l wall -d 'Seconds after which the command is killed' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l disk -d 'Bytes that the workspace may hold with what the command writes, such as 256M' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l inodes -d 'Files and folders that the workspace may hold' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l level -d 'How strongly to confine it; a sandbox that cannot be built is an error, never a weaker one' -r -f -a "l1\t'Landlock and seccomp, for hosts without user namespaces'
l2\t'Namespaces of its own, Landlock and seccomp'
l3\t'The same in a cgroup with limits on the whole run, where one is delegated to whoever runs this'"
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l raw -d 'Pass control characters of the output on, which a terminal obeys; without it each becomes a question mark'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from explain" -l agent -d 'The agent [default: the first]' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from explain" -l session -d 'One session, by its key as `creel sessions` shows it, or `main` for the agent\'s main session' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from explain" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from explain" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from explain" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from explain" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from explain" -s v -l verbose -d 'Also name every denied system call and every variable'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from explain" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from list" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from list" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from list" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from list" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from list" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from prune" -l idle-hours -d 'Hours without a command [default: sandbox.prune.idleHours]' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from prune" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from prune" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from prune" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from prune" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from prune" -l dry-run -d 'Only say which'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from prune" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from why" -l agent -d 'Only this agent, its worker and its commands' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from why" -s n -l lines -d 'How many of the newest' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from why" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from why" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from why" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from why" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from why" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from why" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from test" -l level -d 'The level to test [default: the strongest that this machine gives to whoever runs this]' -r -f -a "l1\t'Landlock and seccomp'
l2\t'The same with namespaces'"
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from test" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from test" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from test" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from test" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from test" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from quarantine" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from quarantine" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from quarantine" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from quarantine" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from quarantine" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from quarantine" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from quarantine" -f -a "list" -d 'List everything in quarantine'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from quarantine" -f -a "restore" -d 'Bring one thing back to where it was'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from quarantine" -f -a "drop" -d 'Delete everything of one agent'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from quarantine" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "exec" -d 'Run a command in the sandbox of the `exec` tool'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Show how an agent\'s commands and its worker are confined: measured, with the key behind each line'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the home folders of commands, the one that was not used for longest first'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Take home folders away that nobody uses any more, with everything in them'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "why" -d 'Show what sandboxes denied lately, each as one sentence with rule, path and key'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "test" -d 'Try some sixty deeds in a tool sandbox, and say which were denied'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "quarantine" -d 'What commands left in workspaces and was taken away after the run'
complete -c creel -n "__fish_creel_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand token" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand token" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand token" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand token" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand token" -l bare -d 'Print the token alone'
complete -c creel -n "__fish_creel_using_subcommand token" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand token" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand completions" -l home -d 'The home folder [default: $CREEL_HOME, else ~/.creel]' -r -F
complete -c creel -n "__fish_creel_using_subcommand completions" -l config -d 'The configuration file [default: creel.json in the home]' -r -F
complete -c creel -n "__fish_creel_using_subcommand completions" -l port -d 'The gateway\'s port [default: gateway.port, else 18789]' -r
complete -c creel -n "__fish_creel_using_subcommand completions" -l color -d 'When text has colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Also into a pipe'
never\t'Nowhere'"
complete -c creel -n "__fish_creel_using_subcommand completions" -l json -d 'Print data as JSON'
complete -c creel -n "__fish_creel_using_subcommand completions" -s h -l help -d 'Print help'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "up" -d 'Start Creel and stay in the foreground until SIGTERM or Ctrl-C'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "stop" -d 'Stop Creel in order, or one unit'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "start" -d 'Start one unit that was stopped or set aside'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "status" -d 'Show every process: state, restarts, last end, memory and measured isolation'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "top" -d 'Show what every unit uses, live'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "logs" -d 'Show the log of one unit, or of all'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "events" -d 'Show what happened: starts, ends and their causes, restarts, reloads'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "doctor" -d 'Look for what is wrong with this installation, and say what to do'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "restart" -d 'Restart one unit and lift its quarantine'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "reload" -d 'Read the configuration again and apply what changed'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "upgrade" -d 'Put another version in the place of the running one; everything runs on'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "agent" -d 'Send one message to an agent and print its reply'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "message" -d 'Say something on a channel'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "pairing" -d 'Let people who asked for it write to you'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "sessions" -d 'List sessions, search in them, give them settings of their own, forget them, and bring them from and into files'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "cluster" -d 'Show the hosts that share a database'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "inbox" -d 'Show messages that were set aside, and have them answered after all'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "outbox" -d 'Show what goes out on channels, and decide about what did not'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "config" -d 'Read, check and change the configuration'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "gateway" -d 'Call the gateway directly'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "backup" -d 'Copy the home into one file while it is in use, check and restore such copies'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "store" -d 'Move the state between a file and a PostgreSQL server'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "service" -d 'Run Creel as a service of this machine or of yourself'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "egress" -d 'See and try what units reach outside'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "sandbox" -d 'Run commands in the tool sandbox, and test it'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "token" -d 'Print the address of the web page, with the token that opens it'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "completions" -d 'Print a completion script for a shell'
complete -c creel -n "__fish_creel_using_subcommand help; and not __fish_seen_subcommand_from up stop start status top logs events doctor restart reload upgrade agent message pairing sessions cluster inbox outbox config gateway backup store service egress sandbox token completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from message" -f -a "send" -d 'Send a text through the outbox, which outlives Creel: it is sent at most once'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from pairing" -f -a "list" -d 'List open requests'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from pairing" -f -a "approve" -d 'Allow the sender of a request; works at once'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from pairing" -f -a "dismiss" -d 'Drop a request; the sender may ask again'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "set" -d 'Give a session a model, a thinking level, a label, a queue mode, or keep what it answers off its channel'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "reset" -d 'Have a session begin afresh: its agent remembers nothing of before'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "delete" -d 'Delete a session with everything that was said in it'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "prune" -d 'Forget sessions that nobody writes in any more, with everything that was said in them'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "search" -d 'Find what was said, in all sessions, newest first'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "export" -d 'Write a session as a file that Pi and OpenClaw read (JSON Lines, version 3)'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "import" -d 'Take in session files of Pi and OpenClaw (JSON Lines, versions 1 to 3), and OpenClaw\'s databases'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from cluster" -f -a "status" -d 'Show the hosts and who has which account and turn'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from inbox" -f -a "retry" -d 'Have a message answered after all, before what waits behind it'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from inbox" -f -a "drop" -d 'Give a message up'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from inbox" -f -a "answer" -d 'Say what becomes of a command that was interrupted'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from outbox" -f -a "list" -d 'List the newest messages'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from outbox" -f -a "retry" -d 'Say a message again that failed or whose end nobody knows; who got it already gets it twice'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from outbox" -f -a "drop" -d 'Give up a message that waits, or whose end nobody knows'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "validate" -d 'Name every mistake with its line and column'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "get" -d 'Print a value, defaults included; the whole configuration without a path'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "set" -d 'Change a value in the file; comments stay'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "unset" -d 'Remove a key from the file, so that its default holds'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "schema" -d 'Print the JSON Schema of the configuration'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from gateway" -f -a "call" -d 'Call one method and print its result as JSON'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "create" -d 'Copy the home: database, transcripts, files of agents'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "verify" -d 'Look whether a backup is whole: every hash, and the database in it'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "restore" -d 'Make a home of a backup again, in a folder that is empty or not there'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "migrate" -d 'Copy the whole state to the other store, and compare every row'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "install" -d 'Put it in place, start it, and start it with the machine (or your login)'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "uninstall" -d 'Stop it and take it away; configuration and data stay'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "start" -d 'Start it'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "stop" -d 'Stop it in order; it starts again with the machine'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "restart" -d 'Stop it and start it again'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "status" -d 'Show how the service manager sees it'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "logs" -d 'Show what it said to the service manager'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "text" -d 'Print a text that service managers read, for packagers'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from egress" -f -a "log" -d 'Show the access log: every connection of every unit, allowed or refused'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from egress" -f -a "test" -d 'Ask whether a unit may reach a host, and by which key of the configuration'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "exec" -d 'Run a command in the sandbox of the `exec` tool'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "explain" -d 'Show how an agent\'s commands and its worker are confined: measured, with the key behind each line'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "list" -d 'List the home folders of commands, the one that was not used for longest first'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "prune" -d 'Take home folders away that nobody uses any more, with everything in them'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "why" -d 'Show what sandboxes denied lately, each as one sentence with rule, path and key'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "test" -d 'Try some sixty deeds in a tool sandbox, and say which were denied'
complete -c creel -n "__fish_creel_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "quarantine" -d 'What commands left in workspaces and was taken away after the run'
