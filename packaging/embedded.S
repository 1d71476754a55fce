/* Owns the bytes of the agent and of the launch library in the viztracerd of a wheel: see daemon/session/libraries.c.
 * AGENT_FILE and LAUNCH_FILE are the stripped libraries. */
    .section .rodata
    .global vt_embedded_agent, vt_embedded_agent_end, vt_embedded_launch, vt_embedded_launch_end
    .hidden vt_embedded_agent, vt_embedded_agent_end, vt_embedded_launch, vt_embedded_launch_end
    .balign 16
vt_embedded_agent:
    .incbin AGENT_FILE
vt_embedded_agent_end:
    .balign 16
vt_embedded_launch:
    .incbin LAUNCH_FILE
vt_embedded_launch_end:
    .section .note.GNU-stack,"",@progbits
