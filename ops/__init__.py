"""The commands of data scientists, operators and approvers: data, upload, run, versions, approve, reject.

The same for the embedded cloud and for AWS: only credentials and endpoint differ, and those are boto3's own settings.
"""
