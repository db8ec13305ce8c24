console.log "never closed
