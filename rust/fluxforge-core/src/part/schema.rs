//! Arrow's types to Parquet's, and what the crate is told about each column.

use std::sync::Arc;

use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};
use parquet::basic::{
    Compression, LogicalType, Repetition, TimeUnit as ParquetTimeUnit, Type as PhysicalType,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::schema::types::{ColumnDescPtr, ColumnPath, SchemaDescriptor, Type};

use super::Properties;

/// Of every schema among the parts.
pub(super) struct Layouts {
    all: Vec<(SchemaRef, Layout)>,
    pub(super) rows_per_group: usize,
}

/// How rows of one schema become a file.
pub(super) struct Layout {
    pub(super) schema: SchemaDescriptor,
    pub(super) properties: WriterPropertiesPtr,
    timestamp_unit: TimeUnit,
}

/// How one column becomes a column chunk.
pub(super) struct ColumnLayout {
    pub(super) descriptor: ColumnDescPtr,
    pub(super) properties: WriterPropertiesPtr,
    pub(super) timestamp_unit: TimeUnit,
}

impl Layouts {
    pub(super) fn new<'s>(
        schemas: impl Iterator<Item = &'s SchemaRef>,
        properties: &Properties,
    ) -> Result<Self> {
        let mut all: Vec<(SchemaRef, Layout)> = Vec::new();
        for schema in schemas {
            // Parts come in the order of their tables.
            if all
                .last()
                .is_none_or(|(known, _)| !Arc::ptr_eq(known, schema))
            {
                all.push((SchemaRef::clone(schema), Layout::new(schema, properties)?));
            }
        }
        let rows_per_group = properties.rows_per_group;
        Ok(Self {
            all,
            rows_per_group,
        })
    }

    pub(super) fn of(&self, schema: &SchemaRef) -> &Layout {
        let found = self
            .all
            .iter()
            .find(|(known, _)| Arc::ptr_eq(known, schema));
        &found
            .unwrap_or_else(|| unreachable!("made from these very parts"))
            .1
    }
}

impl Layout {
    fn new(schema: &SchemaRef, properties: &Properties) -> Result<Self> {
        let fields = schema.fields().iter();
        let fields = fields.map(|field| Ok(Arc::new(parquet_type(field, properties)?)));
        let root = Type::group_type_builder("schema")
            .with_fields(fields.collect::<Result<_>>()?)
            .build()?;
        let mut builder = WriterProperties::builder()
            // What is compressed with Zstandard is so on its way to the file, see `pages`.
            .set_compression(match properties.compression {
                Compression::ZSTD(_) => Compression::UNCOMPRESSED,
                other => other,
            })
            // Numbers and times hardly repeat: a dictionary of them costs more than it saves.
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true)
            .set_max_row_group_row_count(Some(properties.rows_per_group));
        for name in &properties.statistics {
            let column = ColumnPath::new(vec![name.clone()]);
            builder = builder.set_column_statistics_enabled(column, EnabledStatistics::Chunk);
        }
        Ok(Self {
            schema: SchemaDescriptor::new(Arc::new(root)),
            properties: Arc::new(builder.build()),
            timestamp_unit: properties.timestamp_unit,
        })
    }

    pub(super) fn column(&self, index: usize) -> ColumnLayout {
        ColumnLayout {
            descriptor: self.schema.column(index),
            properties: WriterPropertiesPtr::clone(&self.properties),
            timestamp_unit: self.timestamp_unit,
        }
    }
}

fn parquet_type(field: &Field, properties: &Properties) -> Result<Type> {
    let timestamp = |unit| LogicalType::timestamp(true, unit);
    let (physical, logical) = match field.data_type() {
        DataType::Int64 => (PhysicalType::INT64, None),
        DataType::UInt32 => (PhysicalType::INT32, Some(LogicalType::integer(32, false))),
        DataType::Float64 => (PhysicalType::DOUBLE, None),
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => {
            let unit = match properties.timestamp_unit {
                TimeUnit::Microsecond => ParquetTimeUnit::MICROS,
                _ => ParquetTimeUnit::NANOS,
            };
            (PhysicalType::INT64, Some(timestamp(unit)))
        }
        // Parquet knows no seconds.
        DataType::Timestamp(TimeUnit::Second, Some(_)) => (
            PhysicalType::INT64,
            Some(timestamp(ParquetTimeUnit::MILLIS)),
        ),
        DataType::Decimal128(precision, scale) => {
            let logical = LogicalType::decimal(i32::from(*scale), i32::from(*precision));
            (PhysicalType::FIXED_LEN_BYTE_ARRAY, Some(logical))
        }
        DataType::Utf8 | DataType::Dictionary(..) => {
            (PhysicalType::BYTE_ARRAY, Some(LogicalType::String))
        }
        other => {
            return Err(ParquetError::NYI(format!(
                "writing the column {} of type {other}",
                field.name()
            )));
        }
    };
    let mut builder = Type::primitive_type_builder(field.name(), physical)
        .with_repetition(if field.is_nullable() {
            Repetition::OPTIONAL
        } else {
            Repetition::REQUIRED
        })
        .with_logical_type(logical);
    if let DataType::Decimal128(precision, scale) = field.data_type() {
        builder = builder
            .with_length(16)
            .with_precision(i32::from(*precision))
            .with_scale(i32::from(*scale));
    }
    builder.build()
}
