using System.Text;

namespace Eigengate.Inference.Tokenization;

internal enum SentencePieceType
{
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

internal readonly record struct SentencePiece(string Text, float Score, SentencePieceType Type);

/// <summary>The part of sentencepiece_model.proto that encoding needs; other fields are skipped.</summary>
internal sealed record SentencePieceModel(string File, IReadOnlyList<SentencePiece> Pieces)
{
    private const int BytePair = 2;

    public bool ByteFallback { get; private set; }

    public int UnknownId { get; private set; }

    public int BosId { get; private set; } = 1;

    public int EosId { get; private set; } = 2;

    public bool AddDummyPrefix { get; private set; } = true;

    public bool RemoveExtraWhitespaces { get; private set; } = true;

    public static SentencePieceModel Read(string file)
    {
        var pieces = new List<SentencePiece>();
        var model = new SentencePieceModel(file, pieces);
        var modelType = 1;
        var reader = new ProtobufReader(System.IO.File.ReadAllBytes(file), file, "ModelProto");
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    pieces.Add(ReadPiece(reader.Bytes, file, pieces.Count));
                    break;
                case 2:
                    modelType = model.ReadTrainer(reader.Bytes);
                    break;
                case 3:
                    model.ReadNormalizer(reader.Bytes);
                    break;
            }
        }

        if (modelType != BytePair)
            throw new TokenizerFormatException(file, "trainer_spec.model_type", $"is {modelType}, only {BytePair} (BPE) is supported");
        return pieces.Count > 0 ? model : throw new TokenizerFormatException(file, "pieces", "is empty");
    }

    private static SentencePiece ReadPiece(ReadOnlySpan<byte> message, string file, int index)
    {
        var piece = new SentencePiece("", 0, SentencePieceType.Normal);
        var reader = new ProtobufReader(message, file, $"pieces[{index}]");
        while (reader.Next())
        {
            piece = reader.Field switch
            {
                1 => piece with { Text = Encoding.UTF8.GetString(reader.Bytes) },
                2 => piece with { Score = reader.Float },
                3 => piece with { Type = (SentencePieceType)reader.Number },
                _ => piece,
            };
        }

        if (piece.Text.Length == 0)
            throw new TokenizerFormatException(file, $"pieces[{index}].piece", "is empty");
        if (piece.Type is < SentencePieceType.Normal or > SentencePieceType.Byte or SentencePieceType.Unused)
            throw new TokenizerFormatException(file, $"pieces[{index}].type", $"{piece.Type} is not supported");
        return piece;
    }

    private int ReadTrainer(ReadOnlySpan<byte> message)
    {
        var modelType = 1;
        var reader = new ProtobufReader(message, File, "trainer_spec");
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 3:
                    modelType = (int)reader.Number;
                    break;
                case 24 when reader.Number != 0:
                    throw new TokenizerFormatException(File, "trainer_spec.treat_whitespace_as_suffix", "is not supported");
                case 35:
                    ByteFallback = reader.Number != 0;
                    break;
                case 40:
                    UnknownId = (int)reader.Number;
                    break;
                case 41:
                    BosId = (int)reader.Number;
                    break;
                case 42:
                    EosId = (int)reader.Number;
                    break;
            }
        }

        return modelType;
    }

    private void ReadNormalizer(ReadOnlySpan<byte> message)
    {
        var reader = new ProtobufReader(message, File, "normalizer_spec");
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 2 when reader.Bytes.Length > 0:
                    throw new TokenizerFormatException(File, "normalizer_spec.precompiled_charsmap", "only the identity normalizer is supported");
                case 3:
                    AddDummyPrefix = reader.Number != 0;
                    break;
                case 4:
                    RemoveExtraWhitespaces = reader.Number != 0;
                    break;
                case 5 when reader.Number == 0:
                    throw new TokenizerFormatException(File, "normalizer_spec.escape_whitespaces", "false is not supported");
            }
        }
    }
}
