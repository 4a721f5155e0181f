// Rotates queries and keys in place and writes keys and values to their KV slots. One block a row; a row without a
// position (a padded one) is left alone.
KERNEL rotate_and_cache(
    element* qkv, int pitch, const float* cosines, const float* sines, const int* positions, const int* slots,
    element* keys, element* values, int heads, int kv_heads, int width)
{
    int position = positions[blockIdx.x];
    if (position < 0)
        return;
    int half = width / 2, rotated = (heads + kv_heads) * half;
    element* row = qkv + (long long)blockIdx.x * pitch;
    long long slot = (long long)slots[blockIdx.x] * kv_heads * width;
    const float* cosine = cosines + (long long)position * half;
    const float* sine = sines + (long long)position * half;
    for (int i = threadIdx.x; i < rotated; i += blockDim.x)
    {
        int head = i / half, column = i % half;
        element* low = row + head * width + column;
        float a = widen(low[0]), b = widen(low[half]);
        element first = narrow(a * cosine[column] - b * sine[column]);
        element second = narrow(b * cosine[column] + a * sine[column]);
        low[0] = first;
        low[half] = second;
        if (head >= heads)
        {
            element* key = keys + slot + (head - heads) * width + column;
            key[0] = first;
            key[half] = second;
        }
    }

    const element* value = row + (heads + kv_heads) * width;
    for (int i = threadIdx.x; i < kv_heads * width; i += blockDim.x)
        values[slot + i] = value[i];
}
