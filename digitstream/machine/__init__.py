"""What the commands need of this machine: Java, jars, ports, processes."""
