"""What the commands need on this machine: Java, jars, ports, processes."""
