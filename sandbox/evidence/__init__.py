"""Stand-ins of the sub-systems that are asked about applicants: real name, credit report, lists."""
