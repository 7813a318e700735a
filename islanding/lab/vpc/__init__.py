"""What a VPC does with a packet: AWS state turned into namespaces, routes, filters and names."""
