// y = x / sqrt(mean(x^2) + epsilon) * weight. One block a row, y may be x.
KERNEL rms_norm(const element* x, const float* weight, float epsilon, element* y, int width)
{
    const element* from = x + (long long)blockIdx.x * width;
    element* to = y + (long long)blockIdx.x * width;
    float squares = 0;
    for (int i = threadIdx.x; i < width; i += blockDim.x)
        squares += widen(from[i]) * widen(from[i]);
    float scale = rsqrtf(block_sum(squares) / width + epsilon);
    for (int i = threadIdx.x; i < width; i += blockDim.x)
        to[i] = narrow(widen(from[i]) * scale * weight[i]);
}

// The same over every query and key head of a row by itself, in place. One warp a head; grid: rows x heads.
KERNEL normalize_heads(element* qkv, int pitch, const float* query, const float* key, float epsilon, int heads, int width)
{
    element* head = qkv + (long long)blockIdx.x * pitch + blockIdx.y * width;
    const float* weight = (int)blockIdx.y < heads ? query : key;
    float squares = 0;
    for (int i = threadIdx.x; i < width; i += WARP)
        squares += widen(head[i]) * widen(head[i]);
    float scale = rsqrtf(group_sum(squares, WARP) / width + epsilon);
    for (int i = threadIdx.x; i < width; i += WARP)
        head[i] = narrow(widen(head[i]) * scale * weight[i]);
}
