# Completion of satchel for bash; the words come from the program's own help.
_satchel() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local i words=() commands options
	case $prev in
	--passphrase-file | --new-passphrase-file)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-s | -w | --depot | --source | --state)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--account)
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return
		;;
	--colour)
		mapfile -t COMPREPLY < <(compgen -W "grey blue red orange green purple" -- "$cur")
		return
		;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | -w | --passphrase-file) ((i++)) ;;
		-*) ;;
		*) words+=("${COMP_WORDS[i]}") ;;
		esac
	done
	commands=$(satchel --help 2> /dev/null | sed -n 's/^  \([a-z][a-z -]*[a-z]\)   *.*/\1/p')
	if [[ ${#words[@]} -eq 0 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(cut -d ' ' -f 1 <<< "$commands" | sort -u)" -- "$cur")
		return
	fi
	if [[ $cur == -* ]]; then
		options=$(satchel help "${words[@]:0:2}" 2> /dev/null || satchel help "${words[0]}" 2> /dev/null)
		mapfile -t COMPREPLY < <(compgen -W "$(grep -o -- '--[a-z-]*' <<< "$options" | sort -u) -q -v" -- "$cur")
		return
	fi
	if [[ ${#words[@]} -eq 1 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(sed -n "s/^${words[0]} //p" <<< "$commands")" -- "$cur")
		[[ ${#COMPREPLY[@]} -gt 0 ]] && return
	fi
	mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}
complete -F _satchel satchel
