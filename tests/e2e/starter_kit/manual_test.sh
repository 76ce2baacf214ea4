# 1. Initiate upload
UPLOAD_RESPONSE=$(curl -X POST http://localhost:8000/v1/uploads/initiate \
  -H "Content-Type: application/json" \
  -d '{
    "filename": "test.png",
    "size": 1048576,
    "mime_type": "image/png",
    "user_id": "test-user"
  }')

echo $UPLOAD_RESPONSE
UPLOAD_ID=$(echo $UPLOAD_RESPONSE | jq -r '.upload_id')

# 2. Upload chunks
dd if=/dev/urandom of=/tmp/test.png bs=1M count=1

# Split file into chunks
split -b 5M /tmp/test.png /tmp/chunk_

# Upload each chunk
for i in {0..0}; do
  curl -X PUT "http://localhost:8000/v1/uploads/$UPLOAD_ID/chunk?chunk_index=$i" \
    -F "file=@/tmp/chunk_aa"
done

# 3. Complete upload
curl -X POST "http://localhost:8000/v1/uploads/$UPLOAD_ID/complete"

# 4. Check status
curl "http://localhost:8000/v1/uploads/$UPLOAD_ID/status"
