"""What Leat asks of S3: a conditional put is won once."""

from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError


def test_a_conditional_put_is_won_once(aws):
    bucket = aws.bucket()

    def put(n: int) -> bool:
        try:
            aws.s3.put_object(Bucket=bucket, Key="published", Body=b"%d" % n, IfNoneMatch="*")
            return True
        except ClientError as why:
            assert why.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412)
            return False

    with ThreadPoolExecutor(16) as pool:
        won = [n for n, good in enumerate(pool.map(put, range(64))) if good]
    assert len(won) == 1
    assert aws.read(bucket, "published") == b"%d" % won[0]
